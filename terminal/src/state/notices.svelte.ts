// What the terminal says in passing, and what it says through the system if the reader allowed it.

import { preferences } from "./preferences.svelte";

export type Tone = "good" | "bad" | "plain";

export interface Notice {
  id: number;
  tone: Tone;
  title: string;
  text: string;
  /** What it is about: a later notice about the same takes its place. */
  about: string;
}

const SHOWN_MAX = 4;
const MILLIS = 6_000;
const MILLIS_BAD = 12_000;

class Notices {
  list = $state.raw<Notice[]>([]);
  private last = 0;

  say(tone: Tone, title: string, text = "", { loud = false, about = "" } = {}): void {
    this.last += 1;
    const id = this.last;
    const others = this.list.filter((notice) => about === "" || notice.about !== about);
    this.list = [...others, { id, tone, title, text, about }].slice(-SHOWN_MAX);
    setTimeout(() => this.dismiss(id), tone === "bad" ? MILLIS_BAD : MILLIS);
    if (loud && preferences.value.notify && document.hidden && Notification.permission === "granted") {
      new Notification(title, { body: text, icon: "/icon.svg" });
    }
  }

  dismiss(id: number): void {
    this.list = this.list.filter((notice) => notice.id !== id);
  }
}

export const notices = new Notices();

/** Asks the browser whether notices may be shown while the page is not; true if so. */
export async function allowNotifications(): Promise<boolean> {
  if (!("Notification" in globalThis)) return false;
  return (await Notification.requestPermission()) === "granted";
}
