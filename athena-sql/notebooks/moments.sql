count(*) as units,
    avg(y) as mean_y,
    avg(d) as mean_d,
    var_pop(y) * count(*) as yy,
    covar_pop(y, d) * count(*) as yd,
    var_pop(d) * count(*) as dd
