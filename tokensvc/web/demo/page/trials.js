// The panel "What IVS refuses": each trial asks the edge for the playlist and shows its answer.
// What any holder of a URL can do to it, the page does itself; what needs a key to make, it asks of
// its backend.

import { element } from "./dom.js";
import { withExpiryMoved, withoutToken } from "./token.js";

const A_YEAR_IN_SECONDS = 365 * 24 * 3600;
const TRIALS = [
  {
    name: "signed",
    title: "The signed URL",
    story: "For comparison: the token as it was issued.",
    action: "Ask with the token",
    url: (backend) => backend.playbackUrl(),
  },
  {
    name: "no-token",
    title: "No token",
    story: "The channel's bare playback URL, as anyone may come to know it.",
    action: "Ask without a token",
    url: async (backend) => withoutToken(await backend.playbackUrl()),
  },
  {
    name: "expired",
    title: "An expired token",
    story: "Well signed by the active key, and a minute too old.",
    action: "Ask with an expired token",
    url: (backend) => backend.refusedUrl("expired"),
  },
  {
    name: "other-channel",
    title: "Another channel's token",
    story: "Good for the channel next door. Here it opens nothing.",
    action: "Ask with another channel's",
    url: (backend) => backend.refusedUrl("other-channel"),
  },
  {
    name: "altered",
    title: "An altered token",
    story: "This page moved exp on by a year. The signature no longer fits.",
    action: "Ask with an altered token",
    url: async (backend) => withExpiryMoved(await backend.playbackUrl(), A_YEAR_IN_SECONDS),
  },
  {
    name: "unknown-key",
    title: "A stranger's signature",
    story: "Flawless claims, signed by a key pair that IVS never got.",
    action: "Ask with a stranger's",
    url: (backend) => backend.refusedUrl("unknown-key"),
  },
];
const LINES_OF_PLAYLIST = 4;

/**
 * Fill the list with the trials.
 * `backend.playbackUrl()` and `backend.refusedUrl(fault)` give URLs, or throw an Error with words
 * for a person.
 * Returns a function that runs them all, one after another.
 */
export function showTrials(list, backend) {
  const runs = TRIALS.map(({ name, title, story, action, url }) => {
    const button = element("button", { type: "button", className: "quiet" }, action);
    button.dataset.trial = name;
    const outcome = element("div", { className: "outcome" });
    outcome.setAttribute("role", "status");
    const run = async () => {
      button.disabled = true;
      try {
        outcome.replaceChildren(...(await answerOfEdge(await url(backend))));
      } catch (error) {
        outcome.replaceChildren(element("p", { className: "failed" }, error.message));
      } finally {
        button.disabled = false;
      }
    };
    button.addEventListener("click", run);
    list.append(
      element("li", {}, element("h3", {}, title), element("p", {}, story), button, outcome),
    );
    return run;
  });
  return async () => {
    for (const run of runs) await run();
  };
}

async function answerOfEdge(playbackUrl) {
  let response;
  try {
    response = await fetch(playbackUrl, { cache: "no-store" });
  } catch {
    throw new Error("The edge doesn't answer. Is Local IVS still running?");
  }
  const text = await response.text();
  const verdict = element(
    "p",
    { className: response.ok ? "verdict plays" : "verdict refused" },
    element("strong", {}, String(response.status)),
    response.ok ? " It plays" : " Refused",
  );
  const body = element("pre", { tabIndex: 0 }, response.ok ? firstLines(text) : pretty(text));
  body.setAttribute("aria-label", "What the edge answered");
  return [verdict, body];
}

function firstLines(playlist) {
  const lines = playlist.trimEnd().split("\n");
  return lines.length > LINES_OF_PLAYLIST
    ? [...lines.slice(0, LINES_OF_PLAYLIST), "…"].join("\n")
    : lines.join("\n");
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
