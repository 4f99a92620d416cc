// What several parts of the page share: values that can be watched, and drafts that outlive a reload.
import { useLayoutEffect, useState } from "./hooks.js";

export function store(initial) {
  let value = initial;
  const watchers = new Set();
  return {
    get value() {
      return value;
    },
    set(next) {
      value = typeof next === "function" ? next(value) : next;
      for (const watcher of [...watchers]) watcher();
    },
    watch(watcher) {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
  };
}

export function useStore(shared) {
  const [, redraw] = useState(0);
  const seen = shared.value;
  useLayoutEffect(() => {
    if (shared.value !== seen) redraw((count) => count + 1);
    return shared.watch(() => redraw((count) => count + 1));
  }, [shared]);
  return shared.value;
}

// What was chosen for this browser. Storage may be forbidden, and then a choice lasts as long as the page.
export const chosen = {
  get(name) {
    try {
      return localStorage.getItem(`console.${name}`);
    } catch {
      return null;
    }
  },
  set(name, value) {
    try {
      if (value === null) localStorage.removeItem(`console.${name}`);
      else localStorage.setItem(`console.${name}`, value);
    } catch {
      // As if it had not been chosen, next time.
    }
  },
};

// Drafts are of this tab and of one user: nobody finds another one's words.
const DRAFT = "console.draft.";
const OWNER = "console.owner";

export const drafts = {
  read(name) {
    try {
      return JSON.parse(sessionStorage.getItem(DRAFT + name));
    } catch {
      return null;
    }
  },
  write(name, value) {
    try {
      sessionStorage.setItem(DRAFT + name, JSON.stringify(value));
    } catch {
      // It is still in the field.
    }
  },
  clear() {
    try {
      for (const name of Object.keys(sessionStorage)) if (name.startsWith("console.")) sessionStorage.removeItem(name);
    } catch {
      // Nothing is kept then.
    }
  },
  belongTo(user) {
    try {
      if (sessionStorage.getItem(OWNER) !== user) drafts.clear();
      sessionStorage.setItem(OWNER, user);
    } catch {
      // Nothing is kept then.
    }
  },
};

export function useDraft(name, initial) {
  const [value, set] = useState(() => {
    const kept = drafts.read(name);
    return initial && typeof initial === "object" ? { ...initial, ...kept } : (kept ?? initial);
  });
  const change = (next) =>
    set((before) => {
      const after = typeof next === "function" ? next(before) : next;
      drafts.write(name, after);
      return after;
    });
  return [value, change];
}
