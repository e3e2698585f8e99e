// Requests to the admin API. The token is in this module's memory and nowhere else: a page that is loaded anew asks for
// it again.

import { t } from "./i18n/locale.svelte";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

let token = "";

export const useToken = (given: string): void => {
  token = given;
};

/** Called when the venue no longer knows the token. */
let onUnknown = (): void => {};
export const whenUnknown = (call: () => void): void => {
  onUnknown = call;
};

export type Method = "GET" | "POST" | "PATCH" | "PUT" | "DELETE";

/** One request; the path is that after `/admin/v1/`. */
export async function ask<T>(method: Method, path: string, body?: unknown, reason = ""): Promise<T> {
  const headers: Record<string, string> = { Authorization: `Bearer ${token}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (reason.trim()) headers["Crossbook-Reason"] = encodeURIComponent(reason.trim());
  let response: Response;
  try {
    response = await fetch(`/admin/v1/${path}`, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
    });
  } catch {
    throw new ApiError(0, 0, t("silentAfter"));
  }
  const answer = (await response.json().catch(() => null)) as (T & { code?: number; msg?: string }) | null;
  if (!response.ok || answer === null) {
    if (response.status === 401) onUnknown();
    throw new ApiError(
      response.status,
      answer?.code ?? 0,
      answer?.msg ?? t("status", { status: response.status }),
    );
  }
  return answer;
}

/** Asks for a text that needs no token. */
export async function text(path: string): Promise<string> {
  const response = await fetch(path, { credentials: "omit", cache: "no-store" });
  if (!response.ok) throw new ApiError(response.status, 0, t("status", { status: response.status }));
  return response.text();
}

/** All pages of a list. One that has more entries than this is an error: nothing of it may be missing unnoticed. */
export async function all<T>(name: string, most = 10_000): Promise<T[]> {
  const entries: T[] = [];
  let from: number | null = 0;
  while (from !== null && entries.length < most) {
    const page: Record<string, unknown> = await ask("GET", `${name}?limit=1000&from=${from}`);
    entries.push(...(page[name] as T[]));
    from = page["next"] as number | null;
  }
  if (from !== null) throw new Error(t("tooMany", { most, what: name }));
  return entries;
}

/** A name as a part of a path. */
export const part = encodeURIComponent;
