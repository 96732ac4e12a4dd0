import {createVerdict, type Options, type Verdict} from './index'

export {createVerdict}

type Command = [name: string, ...args: unknown[]]

/**
 * Runs the commands of `window.verdictQueue`: those pushed before this script arrived, then those to come. The first,
 * ['create', options], makes the instance; a later one changes nothing, so that two tags may both ask for it.
 */
function runQueue(page: {verdictQueue?: Command[]}): void {
  let instance: Verdict | undefined
  let early: Command[] = []

  const run = (command: Command): void => {
    const [name, ...args] = command
    if (name === 'create') {
      instance ??= createVerdict(args[0] as Options)
      for (const waiting of early) run(waiting)
      early = []
    } else if (instance) {
      const method = instance[name as keyof Verdict]
      if (typeof method === 'function') (method as (...args: unknown[]) => unknown)(...args)
    } else {
      early.push(command)
    }
  }

  const queue = (page.verdictQueue ??= [])
  queue.splice(0).forEach(run)
  queue.push = (...commands) => {
    commands.forEach(run)
    return 0
  }
}

runQueue(window as {verdictQueue?: Command[]})
