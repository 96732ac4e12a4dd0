// Compiled, never run: `tsc` fails when a wrong event or property of the plan compiles.
import {createVerdict} from '../src/index'

const verdict = createVerdict({url: 'http://127.0.0.1', writeKey: 'wk'})

verdict.track('session_started')
verdict.track('order_completed', {order_id: 'o-1', value: 3, currency: 'EUR', lines: [{product_id: 'p', quantity: 1, price: 3}]})
verdict.page({page_type: 'cart'})
// @ts-expect-error an event that is not in the plan
verdict.track('order_compleated', {order_id: 'o-1', value: 3, currency: 'EUR'})
// @ts-expect-error a property that is not in the plan
verdict.track('order_completed', {order_id: 'o-1', value: 3, currency: 'EUR', colour: 'red'})
// @ts-expect-error a property of another type
verdict.track('order_completed', {order_id: 'o-1', value: '3', currency: 'EUR'})
// @ts-expect-error a required property is missing
verdict.track('order_completed', {order_id: 'o-1'})
// @ts-expect-error required properties are missing altogether
verdict.track('order_completed')
// @ts-expect-error a value that is not in the enum
verdict.page({page_type: 'blog'})

interface OwnPlan {
  lesson_finished: {score: number}
}
const own = createVerdict<OwnPlan>({url: 'http://127.0.0.1', writeKey: 'wk'})
own.track('lesson_finished', {score: 3})
// @ts-expect-error the plan is the site's own
own.track('order_completed', {order_id: 'o-1', value: 3, currency: 'EUR'})
