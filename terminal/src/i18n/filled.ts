// Texts with values in them. The console's texts are filled here, too.

/** A text with values for what stands in braces. */
export const filled = (text: string, values: Record<string, string | number>): string =>
  text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
