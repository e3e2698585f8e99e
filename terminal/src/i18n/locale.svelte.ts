// The language of the page. English is part of it; others are loaded when they are chosen.

import { preferences } from "../state/preferences.svelte";
import { type Key, type Texts, en } from "./en";
import { filled } from "./filled";
import { refusalText } from "./refusals";

export const LOCALES: Record<string, { name: string; load: () => Promise<Texts> }> = {
  en: { name: "English", load: async () => en },
  ko: { name: "한국어", load: async () => (await import("./ko")).ko },
};

class Locale {
  name = $state("en");
  texts = $state.raw<Texts>(en);

  async choose(name: string): Promise<void> {
    const locale = LOCALES[name] ?? LOCALES["en"]!;
    this.texts = await locale.load();
    this.name = name in LOCALES ? name : "en";
    document.documentElement.lang = this.name;
    preferences.set("locale", this.name);
  }
}

export const locale = new Locale();

/** A text in the reader's language, with values for what stands in braces. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return filled(locale.texts[key], values);
}

/** A text that may not be there; then what it was asked for. */
export function tryText(key: string, otherwise: string): string {
  return (locale.texts as Record<string, string>)[key] ?? otherwise;
}

export const refusal = (code: number, message: string): string => refusalText(code, message, locale.name);
