// Requests to the backend of the demo.

const NO_ANSWER = "The backend does not respond. Check that the demo is still running.";

/** Return the response to a body. Throws an Error with a message to show. */
export async function post(path, body) {
  let response;
  try {
    response = await send(path, body);
  } catch {
    throw new Error(NO_ANSWER);
  }
  const content = await response.json();
  if (!response.ok) throw new Error([content.detail, content.hint].filter(Boolean).join(" "));
  return content;
}

/** Return the response of `fetch`, whatever its status. */
export function send(path, body, options = {}) {
  const headers = { "Content-Type": "application/json", ...options.headers };
  return fetch(path, { ...options, method: "POST", headers, body: JSON.stringify(body) });
}

/** Why the player waits for a URL, for the user. */
export function reasonToWait({ status, error }) {
  return status === 0 ? NO_ANSWER : [error.message, error.hint].filter(Boolean).join(" ");
}
