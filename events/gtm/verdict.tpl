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
  "displayName": "Verdict",
  "categories": ["ANALYTICS", "EXPERIMENTATION"],
  "brand": {
    "id": "verdict",
    "displayName": "Verdict"
  },
  "description": "Loads the Verdict browser SDK from your own host, hands it Consent Mode, and sends events and experiment exposures.",
  "containerContexts": ["WEB"]
}


___TEMPLATE_PARAMETERS___

[
  {
    "type": "SELECT",
    "name": "command",
    "displayName": "What the tag does",
    "macrosInSelect": false,
    "selectItems": [
      {"value": "create", "displayValue": "Load the SDK"},
      {"value": "page", "displayValue": "Page view"},
      {"value": "track", "displayValue": "Event"},
      {"value": "datalayer", "displayValue": "Ecommerce event of the dataLayer"},
      {"value": "exposure", "displayValue": "Experiment exposure"},
      {"value": "identify", "displayValue": "Signed-in user"}
    ],
    "simpleValueType": true,
    "defaultValue": "create",
    "help": "One tag loads the SDK (trigger: Initialization - All Pages); the others may fire before it has arrived. An ecommerce event is one of Google Analytics 4's, such as purchase, and becomes the tracking plan's."
  },
  {
    "type": "TEXT",
    "name": "script",
    "displayName": "URL of verdict.js",
    "simpleValueType": true,
    "valueHint": "https://static.example.com/verdict.js",
    "valueValidators": [{"type": "REGEX", "args": ["^https://[^/]+/([^?#]*/)?verdict\\.js$"]}],
    "enablingConditions": [{"paramName": "command", "paramValue": "create", "type": "EQUALS"}]
  },
  {
    "type": "TEXT",
    "name": "collector",
    "displayName": "URL of the collector",
    "simpleValueType": true,
    "valueHint": "https://events.example.com",
    "valueValidators": [{"type": "REGEX", "args": ["^https://.+"]}],
    "enablingConditions": [{"paramName": "command", "paramValue": "create", "type": "EQUALS"}]
  },
  {
    "type": "TEXT",
    "name": "writeKey",
    "displayName": "Write key",
    "simpleValueType": true,
    "valueValidators": [{"type": "NON_EMPTY"}],
    "enablingConditions": [{"paramName": "command", "paramValue": "create", "type": "EQUALS"}]
  },
  {
    "type": "TEXT",
    "name": "event",
    "displayName": "Event, as in the tracking plan",
    "simpleValueType": true,
    "valueHint": "order_completed",
    "valueValidators": [{"type": "REGEX", "args": ["^[a-z][a-z0-9_]{0,63}$"]}],
    "enablingConditions": [{"paramName": "command", "paramValue": "track", "type": "EQUALS"}]
  },
  {
    "type": "TEXT",
    "name": "properties",
    "displayName": "Properties",
    "simpleValueType": true,
    "help": "A variable that holds an object, such as a Data Layer Variable: a table of texts would turn numbers into texts, which the tracking plan refuses.",
    "enablingConditions": [
      {"paramName": "command", "paramValue": "track", "type": "EQUALS"},
      {"paramName": "command", "paramValue": "page", "type": "EQUALS"}
    ]
  },
  {
    "type": "TEXT",
    "name": "experiment",
    "displayName": "Experiment",
    "simpleValueType": true,
    "valueValidators": [{"type": "NON_EMPTY"}],
    "enablingConditions": [{"paramName": "command", "paramValue": "exposure", "type": "EQUALS"}]
  },
  {
    "type": "TEXT",
    "name": "variant",
    "displayName": "Variant",
    "simpleValueType": true,
    "valueValidators": [{"type": "NON_EMPTY"}],
    "enablingConditions": [{"paramName": "command", "paramValue": "exposure", "type": "EQUALS"}]
  },
  {
    "type": "TEXT",
    "name": "user",
    "displayName": "User id",
    "simpleValueType": true,
    "help": "Empty after a sign-out.",
    "enablingConditions": [{"paramName": "command", "paramValue": "identify", "type": "EQUALS"}]
  }
]


___SANDBOXED_JS_FOR_WEB_TEMPLATE___

const addConsentListener = require('addConsentListener');
const copyFromDataLayer = require('copyFromDataLayer');
const createQueue = require('createQueue');
const getType = require('getType');
const injectScript = require('injectScript');
const isConsentGranted = require('isConsentGranted');
const makeNumber = require('makeNumber');
const makeString = require('makeString');

const SIGNALS = ['analytics_storage', 'ad_storage', 'ad_user_data', 'ad_personalization'];

// The SDK drains this queue when it arrives, and then runs what is pushed at once.
const push = createQueue('verdictQueue');

const choice = (granted) => granted ? 'granted' : 'denied';

const create = () => {
  const consent = {};
  SIGNALS.forEach((signal) => {
    consent[signal] = choice(isConsentGranted(signal));
  });
  // A default: denied may still be the banner's default, and then the SDK holds events in memory for the update.
  push(['create', {url: data.collector, writeKey: data.writeKey, consent: consent}]);
  SIGNALS.forEach((signal) => {
    addConsentListener(signal, (changed, granted) => {
      const update = {};
      update[changed] = choice(granted);
      push(['consent', 'update', update]);
    });
  });
  injectScript(data.script, data.gtmOnSuccess, data.gtmOnFailure, data.script);
};

// The tracking plan closes its schemas: a property without a value is left out, and numbers are numbers.
const filled = (values) => {
  const out = {};
  for (const name in values) {
    const value = values[name];
    if (value !== undefined && value !== null && value !== '') out[name] = value;
  }
  return out;
};
const number = (value) => value === undefined || value === null || value === '' ? undefined : makeNumber(value);
const name = (value) => value === undefined || value === null ? undefined : makeString(value);

const product = (item) => filled({product_id: name(item.item_id || item.item_name), price: number(item.price)});

const line = (item) => filled({
  product_id: name(item.item_id || item.item_name), quantity: number(item.quantity) || 1, price: number(item.price) || 0,
});

/** Google Analytics 4's ecommerce events, as events/replay.yaml maps them. */
const fromDataLayer = () => {
  const shop = copyFromDataLayer('ecommerce', 1) || {};
  const items = getType(shop.items) === 'array' ? shop.items : [];
  const track = (event, values) => push(['track', event, filled(values)]);
  const total = {value: number(shop.value), currency: name(shop.currency)};
  switch (copyFromDataLayer('event')) {
    case 'view_item':
      items.forEach((item) => {
        const seen = product(item);
        seen.currency = total.currency;
        track('product_viewed', seen);
      });
      break;
    case 'add_to_cart':
      items.forEach((item) => {
        const added = line(item);
        added.price = number(item.price);
        added.currency = total.currency;
        track('product_added', added);
      });
      break;
    case 'begin_checkout':
      track('checkout_started', total);
      break;
    case 'purchase':
      track('order_completed', {
        order_id: name(shop.transaction_id), value: total.value, currency: total.currency, coupon: name(shop.coupon),
        lines: items.length ? items.map(line) : undefined,
      });
      break;
    case 'refund':
      track('order_refunded', {order_id: name(shop.transaction_id), value: total.value, currency: total.currency});
      break;
    case 'login':
      track('user_signed_in', {method: name(copyFromDataLayer('method'))});
      break;
  }
};

const properties = getType(data.properties) === 'object' ? data.properties : {};

switch (data.command) {
  case 'create':
    create();
    return;
  case 'page':
    push(['page', properties]);
    break;
  case 'track':
    push(['track', data.event, properties]);
    break;
  case 'datalayer':
    fromDataLayer();
    break;
  case 'exposure':
    push(['exposure', {experiment: makeString(data.experiment), variant: makeString(data.variant), source: 'datalayer'}]);
    break;
  case 'identify':
    push(['identify', data.user ? makeString(data.user) : null]);
    break;
}
data.gtmOnSuccess();


___WEB_PERMISSIONS___

[
  {
    "instance": {
      "key": {"publicId": "access_globals", "versionId": "1"},
      "param": [
        {
          "key": "keys",
          "value": {
            "type": 2,
            "listItem": [
              {
                "type": 3,
                "mapKey": [
                  {"type": 1, "string": "key"},
                  {"type": 1, "string": "read"},
                  {"type": 1, "string": "write"},
                  {"type": 1, "string": "execute"}
                ],
                "mapValue": [
                  {"type": 1, "string": "verdictQueue"},
                  {"type": 8, "boolean": true},
                  {"type": 8, "boolean": true},
                  {"type": 8, "boolean": false}
                ]
              }
            ]
          }
        }
      ]
    },
    "clientAnnotations": {"isEditedByUser": true},
    "isRequired": true
  },
  {
    "instance": {
      "key": {"publicId": "access_consent", "versionId": "1"},
      "param": [
        {
          "key": "consentTypes",
          "value": {
            "type": 2,
            "listItem": [
              {
                "type": 3,
                "mapKey": [
                  {"type": 1, "string": "consentType"},
                  {"type": 1, "string": "read"},
                  {"type": 1, "string": "write"}
                ],
                "mapValue": [
                  {"type": 1, "string": "analytics_storage"},
                  {"type": 8, "boolean": true},
                  {"type": 8, "boolean": false}
                ]
              },
              {
                "type": 3,
                "mapKey": [
                  {"type": 1, "string": "consentType"},
                  {"type": 1, "string": "read"},
                  {"type": 1, "string": "write"}
                ],
                "mapValue": [
                  {"type": 1, "string": "ad_storage"},
                  {"type": 8, "boolean": true},
                  {"type": 8, "boolean": false}
                ]
              },
              {
                "type": 3,
                "mapKey": [
                  {"type": 1, "string": "consentType"},
                  {"type": 1, "string": "read"},
                  {"type": 1, "string": "write"}
                ],
                "mapValue": [
                  {"type": 1, "string": "ad_user_data"},
                  {"type": 8, "boolean": true},
                  {"type": 8, "boolean": false}
                ]
              },
              {
                "type": 3,
                "mapKey": [
                  {"type": 1, "string": "consentType"},
                  {"type": 1, "string": "read"},
                  {"type": 1, "string": "write"}
                ],
                "mapValue": [
                  {"type": 1, "string": "ad_personalization"},
                  {"type": 8, "boolean": true},
                  {"type": 8, "boolean": false}
                ]
              }
            ]
          }
        }
      ]
    },
    "clientAnnotations": {"isEditedByUser": true},
    "isRequired": true
  },
  {
    "instance": {
      "key": {"publicId": "read_data_layer", "versionId": "1"},
      "param": [
        {
          "key": "keyPatterns",
          "value": {
            "type": 2,
            "listItem": [
              {"type": 1, "string": "event"},
              {"type": 1, "string": "ecommerce"},
              {"type": 1, "string": "method"}
            ]
          }
        }
      ]
    },
    "clientAnnotations": {"isEditedByUser": true},
    "isRequired": true
  },
  {
    "instance": {
      "key": {"publicId": "inject_script", "versionId": "1"},
      "param": [
        {
          "key": "urls",
          "value": {
            "type": 2,
            "listItem": [
              {"type": 1, "string": "https://*/verdict.js"}
            ]
          }
        }
      ]
    },
    "clientAnnotations": {"isEditedByUser": true},
    "isRequired": true
  }
]


___TESTS___

scenarios:
- name: Loading asks for the script and hands over consent
  code: |-
    mock('isConsentGranted', function(signal) { return signal === 'analytics_storage'; });
    mock('injectScript', function(url, success) { success(); });
    const pushed = [];
    mock('createQueue', function() { return function(command) { pushed.push(command); }; });
    runCode({command: 'create', script: 'https://static.example.com/verdict.js', collector: 'https://events.example.com', writeKey: 'wk_demo'});
    assertThat(pushed[0][0]).isEqualTo('create');
    assertThat(pushed[0][1].consent.analytics_storage).isEqualTo('granted');
    assertThat(pushed[0][1].consent.ad_storage).isEqualTo('denied');
    assertApi('addConsentListener').wasCalled();
    assertApi('gtmOnSuccess').wasCalled();
- name: An event is queued with its properties and loads nothing
  code: |-
    const pushed = [];
    mock('createQueue', function() { return function(command) { pushed.push(command); }; });
    runCode({command: 'track', event: 'order_completed', properties: {value: 59.9}});
    assertThat(pushed).isEqualTo([['track', 'order_completed', {value: 59.9}]]);
    assertApi('injectScript').wasNotCalled();
    assertApi('gtmOnSuccess').wasCalled();
- name: A sign-out forgets the user
  code: |-
    const pushed = [];
    mock('createQueue', function() { return function(command) { pushed.push(command); }; });
    runCode({command: 'identify', user: ''});
    assertThat(pushed).isEqualTo([['identify', null]]);


___NOTES___

Without Consent Mode on the page, Tag Manager reports every consent type as granted, and so does this tag.
The template's own tests run in the Tag Manager template editor; verdict.test.mjs beside this file runs the same code
against stand-ins for the sandbox's functions.
