// Calls to the console's own server, which adds the token: REST at api/, operators at operators/.

export class CallError extends Error {
  /** What a call was refused with. `reason` is the one of docs/reasons.md; status 0: no answer. */
  constructor(status, reason, message, field) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.field = field || "";
  }
}

// A browser sends the cookie to every port of this host; this stays with pages of this one.
const SECRET = "console-session";

/** The header that opens the session together with its cookie. */
export function proof() {
  const secret = localStorage.getItem(SECRET);
  return secret ? { [SECRET]: secret } : {};
}

const listeners = new Set();

/** Call `told` whenever the session is over. Returns what stops that. */
export function onLoggedOut(told) {
  listeners.add(told);
  return () => listeners.delete(told);
}

async function call(method, path, body, headers = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: { ...proof(), ...(method === "GET" ? {} : { "content-type": "application/json" }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(20_000),
    });
  } catch {
    throw new CallError(0, "UNAVAILABLE", "The server does not answer.");
  }
  const text = await response.text();
  let answer = {};
  try {
    answer = text ? JSON.parse(text) : {};
  } catch {
    throw new CallError(response.status, "INTERNAL", "The server's answer cannot be read.");
  }
  if (!response.ok) {
    const detail = (answer.details || []).find((one) => one.reason) || {};
    if (response.status === 401 && path !== "session") listeners.forEach((told) => told());
    throw new CallError(
      response.status, detail.reason || "INTERNAL", answer.message || "refused",
      (detail.metadata || {}).field,
    );
  }
  return answer;
}

/** Path with a query of those values that are not empty. */
export function query(path, values) {
  const set = Object.entries(values).filter(([, value]) => value !== "" && value != null);
  return set.length ? `${path}?${new URLSearchParams(set)}` : path;
}

export const get = (path, values = {}) => call("GET", "api" + query(path, values));
export const post = (path, body = {}, headers = {}) => call("POST", "api" + path, body, headers);
export const patch = (path, body, headers = {}) => call("PATCH", "api" + path, body, headers);
export const put = (path, body) => call("PUT", "api" + path, body);
export const remove = (path) => call("DELETE", "api" + path);
/** An RPC of OperatorService, by its name. */
export const operate = (name, body = {}) => call("POST", `operators/${name}`, body);

async function begin(login) {
  const { secret, ...who } = await call("POST", "session", login);
  localStorage.setItem(SECRET, secret);
  return who;
}

export const session = {
  get: () => call("GET", "session"),
  /** Log in by `{user, password}`, by `{tokens}`, or by `{code}` of a link. */
  begin,
  end: () => call("DELETE", "session").finally(() => localStorage.removeItem(SECRET)),
};
