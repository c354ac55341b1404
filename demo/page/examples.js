// The panel "What IVS refuses": each example requests the playlist from the edge and shows the
// response. Examples that need a private key get their URL from the backend. The page makes the
// others itself, because anyone who has a URL can do the same.

import { element, onClick } from "./dom.js";
import { withLaterExpiry, withoutToken } from "./token.js";

const YEAR_SECONDS = 365 * 24 * 3600;
const EXAMPLES = [
  {
    name: "signed",
    title: "The signed URL",
    description: "For comparison: a valid token, unchanged.",
    action: "Request with the token",
    url: (backend) => backend.playbackUrl(),
  },
  {
    name: "no-token",
    title: "No token",
    description: "The channel's playback URL without a token. This URL is not secret.",
    action: "Request without a token",
    url: async (backend) => withoutToken(await backend.playbackUrl()),
  },
  {
    name: "expired",
    title: "An expired token",
    description: "Signed by the active key for one second, which has passed.",
    action: "Request with an expired token",
    url: (backend) => backend.refusedUrl("expired"),
  },
  {
    name: "other-channel",
    title: "A token for another channel",
    description: "A valid token, but for a different private channel.",
    action: "Request with the other token",
    url: (backend) => backend.refusedUrl("other-channel"),
  },
  {
    name: "altered",
    title: "An altered token",
    description: "This page added a year to exp, so the signature no longer matches.",
    action: "Request with an altered token",
    url: async (backend) => withLaterExpiry(await backend.playbackUrl(), YEAR_SECONDS),
  },
  {
    name: "unknown-key",
    title: "A token signed by an unknown key",
    description: "Valid claims, but the public key was never imported into IVS.",
    action: "Request with an unknown key",
    url: (backend) => backend.refusedUrl("unknown-key"),
  },
];
const SHOWN_PLAYLIST_LINES = 4;

/**
 * Add the examples to the list.
 * `backend.playbackUrl()` and `backend.refusedUrl(fault)` return URLs, or throw an Error whose
 * message is shown to the user.
 * Returns a function that runs all examples, one after another.
 */
export function showExamples(list, backend) {
  const runs = EXAMPLES.map(({ name, title, description, action, url }) => {
    const button = element("button", { type: "button" }, action);
    button.dataset.example = name;
    const verdict = element("div", { role: "status" });
    const response = element("div");
    const outcome = element("div", { className: "outcome" }, verdict, response);
    const run = async () => {
      try {
        const answer = await requestPlaylist(await url(backend));
        verdict.replaceChildren(answer.verdict);
        response.replaceChildren(answer.body);
      } catch (error) {
        verdict.replaceChildren(element("p", { className: "failed" }, error.message));
        response.replaceChildren();
      }
    };
    onClick(button, run);
    list.append(
      element("li", {}, element("h3", {}, title), element("p", {}, description), button, outcome),
    );
    return run;
  });
  return async () => {
    for (const run of runs) await run();
  };
}

async function requestPlaylist(playbackUrl) {
  let response;
  try {
    response = await fetch(playbackUrl, { cache: "no-store" });
  } catch {
    throw new Error("The edge does not respond. Check that Local IVS is still running.");
  }
  const text = await response.text();
  const verdict = element(
    "p",
    { className: response.ok ? "verdict plays" : "verdict refused" },
    element("strong", {}, String(response.status)),
    response.ok ? " Plays" : " Refused",
  );
  const properties = { tabIndex: 0, role: "group", ariaLabel: "The response of the edge" };
  const body = element("pre", properties, response.ok ? firstLines(text) : indented(text));
  return { verdict, body };
}

function firstLines(playlist) {
  const lines = playlist.trimEnd().split("\n");
  return lines.length > SHOWN_PLAYLIST_LINES
    ? [...lines.slice(0, SHOWN_PLAYLIST_LINES), "…"].join("\n")
    : lines.join("\n");
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
