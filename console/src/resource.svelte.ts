// What a page shows of the venue: loaded when the page opens, again after something was changed, and now and then.

export class Resource<T> {
  value = $state.raw<T>();
  error = $state("");
  private turn = 0;

  constructor(
    private readonly load: () => Promise<T>,
    private readonly everyMillis = 0,
  ) {}

  /** Loads until the result is called. */
  start(): () => void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;
    const go = async (): Promise<void> => {
      await this.again();
      if (!isOver && this.everyMillis > 0) timer = setTimeout(() => void go(), this.everyMillis);
    };
    void go();
    return () => {
      isOver = true;
      clearTimeout(timer);
      this.turn += 1;
    };
  }

  /** Loads once more; a later request wins over an earlier one that is answered after it. */
  async again(): Promise<void> {
    this.turn += 1;
    const turn = this.turn;
    try {
      const value = await this.load();
      if (turn === this.turn) [this.value, this.error] = [value, ""];
    } catch (error) {
      if (turn === this.turn) this.error = (error as Error).message;
    }
  }
}
