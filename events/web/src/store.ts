/** Named texts that outlive the page where the browser lets them, and the page where it does not. */
export interface Store {
  get(name: string): string | null
  set(name: string, text: string): void
  remove(name: string): void
  /** Names that begin so. */
  names(start: string): string[]
}

export function createStore(storage: Storage | undefined, prefix: string): Store {
  // What storage refused (setItem throws QuotaExceededError when the site's 5 MiB or so are full).
  const refused = new Map<string, string>()

  return {
    get: (name) => refused.get(name) ?? storage?.getItem(prefix + name) ?? null,
    set(name, text) {
      try {
        if (!storage) throw null
        storage.setItem(prefix + name, text)
        refused.delete(name)
      } catch {
        refused.set(name, text)
      }
    },
    remove(name) {
      refused.delete(name)
      storage?.removeItem(prefix + name)
    },
    names(start) {
      const found = new Set(refused.keys())
      for (let i = 0; i < (storage?.length ?? 0); i++) {
        const key = storage!.key(i)
        if (key?.startsWith(prefix)) found.add(key.slice(prefix.length))
      }
      return [...found].filter((name) => name.startsWith(start))
    },
  }
}
