// Who is logged in, and what that operator may do.

import { acting } from "./action.svelte";
import { ApiError, ask, useToken, whenUnknown } from "./api";
import { t } from "./i18n/locale.svelte";
import { ROLES, type Role } from "./types";

class Session {
  operator = $state("");
  role = $state<Role>("viewer");
  isIn = $state(false);
  /** Why the operator was logged out. */
  farewell = $state("");

  constructor() {
    whenUnknown(() => {
      if (this.isIn) this.leave(t("tokenGone"));
    });
  }

  /** Logs in; the error if the venue does not know the token. */
  async enter(token: string): Promise<string> {
    useToken(token);
    try {
      const { operator, role } = await ask<{ operator: string; role: Role }>("GET", "operator");
      [this.operator, this.role, this.isIn, this.farewell] = [operator, role, true, ""];
      return "";
    } catch (error) {
      useToken("");
      return error instanceof ApiError && error.status === 401
        ? t("tokenUnknown")
        : String((error as Error).message);
    }
  }

  leave(why = ""): void {
    useToken("");
    // It may show the secret of a key.
    acting.close();
    this.isIn = false;
    this.farewell = why;
  }

  may(least: Role): boolean {
    return ROLES.indexOf(this.role) >= ROLES.indexOf(least);
  }
}

export const session = new Session();
