// Server-sent events, as far as our own stream uses them: lines of id and data, blocks ended by an
// empty line, comments (https://html.spec.whatwg.org/multipage/server-sent-events.html).

/** Return a function that takes pieces of a stream and returns the messages that are whole. */
export function parser() {
  let rest = "", id = "", data = [], told = false;
  return (piece) => {
    const lines = (rest + piece).split("\n");
    rest = lines.pop();
    const messages = [];
    for (const raw of lines) {
      const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
      if (line === "") {
        if (told) messages.push({ id, data: data.join("\n") });
        data = [];
        told = false;
      } else if (line.startsWith("id:")) {
        id = line.slice(3).trimStart();
        told = true;
      } else if (line.startsWith("data:")) {
        data.push(line.slice(5).replace(/^ /, ""));
        told = true;
      }
    }
    return messages;
  };
}
