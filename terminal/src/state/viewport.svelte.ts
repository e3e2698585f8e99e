// How much room there is. Below `tablet` one panel is shown at a time.

export type Size = "phone" | "tablet" | "laptop" | "wide" | "ultra";

const LIMITS: [Size, string][] = [
  ["ultra", "(min-width: 1900px)"],
  ["wide", "(min-width: 1280px)"],
  ["laptop", "(min-width: 1000px)"],
  ["tablet", "(min-width: 720px)"],
];

class Viewport {
  size = $state<Size>("wide");

  constructor() {
    const look = () => (this.size = LIMITS.find(([, query]) => matchMedia(query).matches)?.[0] ?? "phone");
    for (const [, query] of LIMITS) matchMedia(query).addEventListener("change", look);
    look();
  }
}

export const viewport = new Viewport();
