// Light or dark: as the system has it, unless somebody chose.
import { chosen, store } from "./store.js";

export const schemes = ["auto", "light", "dark"];
const kept = chosen.get("theme");
export const theme = store(schemes.includes(kept) ? kept : "auto");

const dark = matchMedia("(prefers-color-scheme: dark)");
// Counts up whenever colours change, for what is drawn and not styled.
export const colours = store(0);

function apply() {
  document.documentElement.dataset.theme = theme.value === "auto" ? (dark.matches ? "dark" : "light") : theme.value;
  colours.set((count) => count + 1);
}

export function wear(scheme) {
  chosen.set("theme", scheme);
  theme.set(scheme);
}

theme.watch(apply);
dark.addEventListener("change", apply);
apply();
