___TERMS_OF_SERVICE___

By creating or modifying this file you agree to Google Tag Manager's Community
Template Gallery Developer Terms of Service available at
https://developers.google.com/tag-manager/gallery-tos (or such other URL as
Google may provide), as modified from time to time.


___INFO___

{
  "type": "TAG",
  "id": "cvt_temp_public_id",
  "version": 1,
  "securityGroups": [],
  "displayName": "Verdict (server)",
  "categories": ["ANALYTICS", "EXPERIMENTATION"],
  "brand": {
    "id": "verdict",
    "displayName": "Verdict"
  },
  "description": "Sends the events of a server container, such as those of the GA4 client, to the Verdict collector as events of the tracking plan.",
  "containerContexts": ["SERVER"]
}


___TEMPLATE_PARAMETERS___

[
  {
    "type": "TEXT",
    "name": "collector",
    "displayName": "URL of the collector",
    "simpleValueType": true,
    "valueHint": "https://events.example.com",
    "valueValidators": [{"type": "REGEX", "args": ["^https://.+"]}]
  },
  {
    "type": "TEXT",
    "name": "writeKey",
    "displayName": "Write key",
    "simpleValueType": true,
    "valueValidators": [{"type": "NON_EMPTY"}]
  }
]


___SANDBOXED_JS_FOR_SERVER___

const getAllEventData = require('getAllEventData');
const getTimestampMillis = require('getTimestampMillis');
const getType = require('getType');
const JSON = require('JSON');
const makeInteger = require('makeInteger');
const makeNumber = require('makeNumber');
const makeString = require('makeString');
const sendHttpRequest = require('sendHttpRequest');
const sha256Sync = require('sha256Sync');

const event = getAllEventData();

const filled = (values) => {
  const out = {};
  for (const key in values) {
    const value = values[key];
    if (value !== undefined && value !== null && value !== '') out[key] = value;
  }
  return out;
};
const number = (value) => value === undefined || value === null || value === '' ? undefined : makeNumber(value);
const text = (value) => value === undefined || value === null || value === '' ? undefined : makeString(value);

const two = (n) => n < 10 ? '0' + n : '' + n;

/** The sandbox has no Date: days since 1970 to year, month and day (Hinnant, days_from_civil, inverted). */
const iso = (millis) => {
  const days = makeInteger((millis - millis % 86400000) / 86400000) + 719468;
  const era = makeInteger((days - days % 146097) / 146097);
  const ofEra = days - era * 146097;
  const whole = (a, b) => (a - a % b) / b;
  const yearOfEra = whole(ofEra - whole(ofEra, 1460) + whole(ofEra, 36524) - whole(ofEra, 146096), 365);
  const dayOfYear = ofEra - (365 * yearOfEra + whole(yearOfEra, 4) - whole(yearOfEra, 100));
  const shifted = whole(5 * dayOfYear + 2, 153);
  const day = dayOfYear - whole(153 * shifted + 2, 5) + 1;
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const rest = millis % 86400000;
  const ms = rest % 1000;
  return year + '-' + two(month) + '-' + two(day) + 'T' + two(whole(rest, 3600000)) + ':' + two(whole(rest, 60000) % 60) + ':' + two(whole(rest, 1000) % 60) +
    '.' + (ms < 10 ? '00' : ms < 100 ? '0' : '') + ms + 'Z';
};

/** The same request, retried by the client, is the same event. */
const id = (parts) => {
  const hex = sha256Sync(parts.join('|'), {outputEncoding: 'hex'});
  return hex.slice(0, 8) + '-' + hex.slice(8, 12) + '-5' + hex.slice(13, 16) + '-8' + hex.slice(17, 20) + '-' + hex.slice(20, 32);
};

const items = getType(event.items) === 'array' ? event.items : [];
const line = (item) => filled({product_id: text(item.item_id || item.item_name), quantity: number(item.quantity) || 1, price: number(item.price) || 0});

/** What the plan calls the events of Google Analytics 4, as events/replay.yaml maps them. */
const mapped = () => {
  switch (event.event_name) {
    case 'page_view':
      return [['page_viewed', {page_type: event.page_type || 'other'}]];
    case 'session_start':
      return [['session_started', {}]];
    case 'login':
      return [['user_signed_in', {method: text(event.method)}]];
    case 'view_item':
      return items.map((item) => ['product_viewed', {product_id: text(item.item_id || item.item_name), price: number(item.price), currency: text(event.currency)}]);
    case 'add_to_cart':
      return items.map((item) => ['product_added', {product_id: text(item.item_id || item.item_name), quantity: number(item.quantity) || 1, price: number(item.price), currency: text(event.currency)}]);
    case 'begin_checkout':
      return [['checkout_started', {value: number(event.value), currency: text(event.currency)}]];
    case 'purchase':
      return [['order_completed', {
        order_id: text(event.transaction_id), value: number(event.value), currency: text(event.currency), coupon: text(event.coupon),
        lines: items.length ? items.map(line) : undefined,
      }]];
    case 'refund':
      return [['order_refunded', {order_id: text(event.transaction_id), value: number(event.value), currency: text(event.currency)}]];
    case 'experience_impression':
    case 'experiment_exposed':
      return [['experiment_exposed', {experiment_id: text(event.experiment_id), variant: text(event.variant || event.exp_variant_string), source: 'datalayer'}]];
  }
  return [];
};

// gcs: G1, then ad and analytics storage as 0 or 1.
const gcs = event['x-ga-gcs'];
const denied = getType(gcs) === 'string' && gcs.length === 4 && gcs.charAt(3) === '0';

const now = getTimestampMillis();
const batch = mapped().map((one, i) => filled({
  event_id: id([event.client_id, event.ga_session_id, event.event_name, event['x-ga-request_count'], event.event_time || now, JSON.stringify(one), i]),
  event: one[0],
  schema: '1-0-0',
  ts: iso(now),
  anonymous_id: denied ? undefined : text(event.client_id),
  user_id: denied ? undefined : text(event.user_id),
  session_id: denied || !event.ga_session_id ? undefined : text(event.client_id) + '.' + event.ga_session_id,
  consent: gcs ? {analytics_storage: denied ? 'denied' : 'granted'} : undefined,
  context: denied ? undefined : {page: filled({url: text(event.page_location), title: text(event.page_title), referrer: text(event.page_referrer)})},
  properties: filled(one[1]),
}));

if (batch.length === 0) {
  data.gtmOnSuccess(); // an event that the plan does not have
  return;
}
// The visitor's address and browser: the collector truncates the one and knows crawlers by the other.
const headers = filled({'Content-Type': 'application/json', 'X-Write-Key': data.writeKey, 'User-Agent': event.user_agent, 'X-Forwarded-For': event.ip_override});
sendHttpRequest(data.collector + '/v1/events', {method: 'POST', headers: headers, timeout: 5000}, JSON.stringify({
  sent_at: iso(now), sdk: {name: 'verdict-sgtm', version: '1'}, events: batch,
})).then((answer) => {
  if (answer.statusCode === 200) data.gtmOnSuccess();
  else data.gtmOnFailure();
}, data.gtmOnFailure);


___SERVER_PERMISSIONS___

[
  {
    "instance": {
      "key": {"publicId": "read_event_data", "versionId": "1"},
      "param": [{"key": "eventDataAccess", "value": {"type": 1, "string": "any"}}]
    },
    "clientAnnotations": {"isEditedByUser": true},
    "isRequired": true
  },
  {
    "instance": {
      "key": {"publicId": "send_http", "versionId": "1"},
      "param": [{"key": "allowedUrls", "value": {"type": 1, "string": "any"}}]
    },
    "clientAnnotations": {"isEditedByUser": true},
    "isRequired": true
  }
]


___TESTS___

scenarios:
- name: A purchase is sent as order_completed
  code: |-
    mock('getAllEventData', {event_name: 'purchase', client_id: 'c1', transaction_id: 'T1', value: 9.5, currency: 'EUR'});
    let sent;
    mock('sendHttpRequest', function(url, options, body) { sent = body; return {then: function(done) { done({statusCode: 200}); }}; });
    runCode({collector: 'https://events.example.com', writeKey: 'wk_demo'});
    assertThat(sent).contains('"order_completed"');
    assertApi('gtmOnSuccess').wasCalled();
- name: An event that the plan does not have is left out
  code: |-
    mock('getAllEventData', {event_name: 'scroll', client_id: 'c1'});
    runCode({collector: 'https://events.example.com', writeKey: 'wk_demo'});
    assertApi('sendHttpRequest').wasNotCalled();
    assertApi('gtmOnSuccess').wasCalled();


___NOTES___

Behind a load balancer the collector takes the visitor's address from X-Forwarded-For; API Gateway reports the server container's own.
verdict-server.test.mjs beside this file runs the same code against stand-ins for the sandbox's functions.
