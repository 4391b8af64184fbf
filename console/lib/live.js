// The log of events, live: one stream for the page, which goes on after a break where it was.
//
// Not EventSource: it wants the name of each type, shows no heartbeat, and gives up for good at any
// answer but 200.

import { proof } from "./api.js";
import { parser } from "./sse.js";

const SILENT_MS = 40_000; // A heartbeat comes each 15 s.
const WAIT_MS = [500, 1_000, 2_000, 4_000, 8_000];

class Live {
  constructor() {
    this.readers = new Set();
    this.watchers = new Set();
    this.state = "connecting";
    this.after = null;
    this.tries = 0;
    this.running = null;
    this.asked = [];
  }

  /** Call `told(events)` with each batch from now on. Returns what stops that. */
  follow(told) {
    this.readers.add(told);
    this.begin();
    return () => this.readers.delete(told);
  }

  /** Call `told(state)` with connecting, live, away or no events (they are not for who asks), now and when it changes. Returns what stops that. */
  watch(told) {
    this.watchers.add(told);
    told(this.state);
    this.begin();
    return () => this.watchers.delete(told);
  }

  /** The number of the newest event when the stream began. */
  position() {
    this.begin();
    if (this.after !== null) return Promise.resolve(this.after);
    return new Promise((done) => this.asked.push(done));
  }

  /** End the stream; the next reader begins a new one. */
  close() {
    this.running?.abort();
    this.running = null;
    this.after = null;
    this.say("connecting");
  }

  begin() {
    if (this.running) return;
    this.running = new AbortController();
    this.run(this.running.signal);
  }

  async run(signal) {
    while (!signal.aborted) {
      try {
        await this.read(signal);
        this.tries = 0;
      } catch {
        if (signal.aborted) return;
        if (this.tries > 0) this.say("away");
        const wait = WAIT_MS[Math.min(this.tries++, WAIT_MS.length - 1)];
        await new Promise((done) => setTimeout(done, wait * (0.75 + Math.random() / 2)));
      }
    }
  }

  /** Read one stream to its end: the server ends each after a while. */
  async read(signal) {
    const own = new AbortController();
    const end = () => own.abort();
    signal.addEventListener("abort", end);
    let timer = setTimeout(end, SILENT_MS);
    try {
      const from = this.after === null ? "" : `?after=${this.after}`;
      const response = await fetch(`api/events/stream${from}`, { signal: own.signal, headers: proof() });
      if (response.status === 403) {
        // It is not for who asks; nothing changes that before another login.
        this.say("no events");
        this.running.abort();
        return;
      }
      if (!response.ok || !response.body) throw new Error(`status ${response.status}`);
      this.say("live");
      const parse = parser();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        this.tries = 0;
        clearTimeout(timer);
        timer = setTimeout(end, SILENT_MS);
        this.take(parse(value));
      }
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      own.abort();
    }
  }

  take(messages) {
    const events = [];
    for (const { id, data } of messages) {
      const number = Number(id);
      if (id === "" || (this.after !== null && number <= this.after)) continue;
      this.after = number;
      this.asked.splice(0).forEach((done) => done(number));
      if (data) events.push(JSON.parse(data));
    }
    if (events.length) this.readers.forEach((told) => told(events));
  }

  say(state) {
    if (state === this.state) return;
    this.state = state;
    this.watchers.forEach((told) => told(state));
  }
}

export const live = new Live();
