// What a process says is wrong, in words.

const WRONG = {
  backlog: "work waits too long",
  "venue-answers": "the venue's answers cannot be read",
  postgresql: "no PostgreSQL", redis: "no Redis", venue: "no connection to the venue", "insiders-api": "insiders-api does not answer",
  bookfeed: "no order books", "analytical-store": "no analytical store",
};
/** Of the name of a health check. */
export const wrongOf = (name) => WRONG[name] || `no ${name}`;
