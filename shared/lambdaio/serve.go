package lambdaio

import (
	"context"
	"log/slog"
	"net/http"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

const (
	// A load balancer keeps idle connections for 60 s unless told otherwise; ours must outlive them, or it
	// answers 502 to a request that met a closing one.
	idleTime = 75 * time.Second
	readTime = 10 * time.Second
	// drainTime is what a container has between SIGTERM and SIGKILL: ECS gives 30 s.
	drainTime = 20 * time.Second
	// maxHeader is what an HTTP API takes of request line and headers.
	maxHeader = 10_240
)

// Serve answers HTTP requests as a Lambda, or, when there is an address to listen on, as a plain server behind a load balancer, until it is told to end. Then it answers what it has accepted.
func Serve(ctx context.Context, log *slog.Logger, address string, handler http.Handler) {
	if address == "" {
		lambda.StartWithOptions(HTTP(handler), lambda.WithContext(ctx))
		return
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	server := &http.Server{Addr: address, Handler: behindBalancer(handler), ReadTimeout: readTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader}
	drained := make(chan struct{})
	go func() {
		<-ctx.Done()
		log.InfoContext(ctx, "draining")
		draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		if err := server.Shutdown(draining); err != nil {
			log.ErrorContext(ctx, "requests were cut off", slog.Any("error", err))
		}
		close(drained)
	}()
	log.InfoContext(ctx, "listening", slog.String("address", address))
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		Must(0, err)
	}
	<-drained
}

// behindBalancer takes the client's address from the last entry of X-Forwarded-For: the load balancer's own. Those
// before it are what the client says.
func behindBalancer(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hops := r.Header.Values("X-Forwarded-For"); len(hops) > 0 {
			last := hops[len(hops)-1]
			r.RemoteAddr = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
		}
		handler.ServeHTTP(w, r)
	})
}
