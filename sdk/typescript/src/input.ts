/** What asking for an item gave. @internal */
export type Pulled<T> = { done: true } | { done: false; value: T; index: number };

/** Input is the items of a map, one asked for at a time. @internal */
export class Input<T> {
  private readonly iterator: Iterator<T> | AsyncIterator<T>;
  private index = 0;
  private ended = false;
  /** The item that was asked for and has not come, or was not taken yet. */
  pending: Promise<Pulled<T>> | undefined;

  constructor(items: Iterable<T> | AsyncIterable<T>) {
    this.iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  }

  pull(): void {
    if (this.ended || this.pending !== undefined) {
      return;
    }
    this.pending = (async (): Promise<Pulled<T>> => {
      const next = await this.iterator.next();
      if (next.done) {
        this.ended = true;
        return { done: true };
      }
      return { done: false, value: next.value, index: this.index++ };
    })();
    this.pending.catch(() => undefined); // whoever waits for it is told
  }

  taken(): void {
    this.pending = undefined;
  }

  async close(): Promise<void> {
    if (!this.ended) {
      this.ended = true;
      const closed = this.iterator.return?.();
      if (this.pending === undefined) { // else it may never come
        await closed;
      }
    }
  }
}
