// The language of the page: the browser's, unless another one was chosen, which this browser then remembers.

import { filled } from "../../../terminal/src/i18n/filled";
import { type Key, type Texts, en } from "./en";
import { ko } from "./ko";

export type { Key };

export const LOCALES: Record<string, { name: string; texts: Texts }> = {
  en: { name: "English", texts: en },
  ko: { name: "한국어", texts: ko },
};
const KEPT = "crossbook.console.locale";

/** What was chosen before, or else the browser's language if there are texts in it. */
function first(): string {
  let kept: string | null = null;
  try {
    kept = localStorage.getItem(KEPT);
  } catch {
    // This browser keeps nothing.
  }
  const names = [kept ?? "", ...navigator.languages.map((language) => language.split("-")[0] ?? "")];
  return names.find((name) => name in LOCALES) ?? "en";
}

class Locale {
  name = $state("en");
  texts = $state.raw<Texts>(en);

  /** Shows the language that the reader is likely to want. */
  begin(): void {
    this.show(first());
  }

  /** Shows a language, and remembers it. */
  choose(name: string): void {
    this.show(name);
    try {
      localStorage.setItem(KEPT, this.name);
    } catch {
      // This browser keeps nothing.
    }
  }

  private show(name: string): void {
    const known = name in LOCALES ? name : "en";
    this.texts = LOCALES[known]?.texts ?? en;
    this.name = known;
    document.documentElement.lang = known;
    document.title = this.texts.consoleTitle;
  }
}

export const locale = new Locale();

/** A text in the reader's language, with values for what stands in braces. */
export const t = (key: Key, values: Record<string, string | number> = {}): string => filled(locale.texts[key], values);

/** A text that may not be there; then what it was asked for. */
export const tryText = (key: string, otherwise: string): string =>
  (locale.texts as Record<string, string>)[key] ?? otherwise;
