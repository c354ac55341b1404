// The panels with the viewers: who watches here, and what a moderator does with each of them.

import { post } from "./backend.js";
import { onClick } from "./dom.js";

const NAMES = { guest: "The guest", ann: "Ann", ben: "Ben" };
const $ = (id) => document.getElementById(id);

/** Call `change(viewer, idToken)` when another viewer watches; without a token for the guest. */
export function onViewer(change) {
  for (const choice of document.querySelectorAll("input[name=viewer]")) {
    choice.addEventListener("change", async () => {
      try {
        const { id_token } = choice.value === "guest" ? {} : await signIn(choice.value);
        change(choice.value, id_token);
        report(`${NAMES[choice.value]} watches in this page.`);
      } catch (error) {
        report(error.message);
      }
    });
  }
}

const signIn = (viewer) => post("/sign-in", { viewer });

/** The viewer who is selected. */
export function selectedViewer() {
  return document.querySelector("input[name=viewer]:checked").value;
}

/** Let the buttons of the moderator act. Calls `lifted(viewer)` when a ban is gone. */
export function showModerator(lifted) {
  for (const button of document.querySelectorAll("button[data-action]")) {
    const { action, viewer } = button.dataset;
    onClick(button, async () => {
      try {
        const answer = await post("/moderation", { action, viewer });
        report(outcome(action, NAMES[viewer], answer));
        if (action === "lift") lifted(viewer);
      } catch (error) {
        report(error.message);
      }
    });
  }
}

function outcome(action, name, answer) {
  if (action === "lift") {
    const [ban] = answer.lifted;
    return ban ? `${name} may watch again from ${time(ban.line_passes_at)}.` : `${name} is not banned.`;
  }
  const [made] = answer.revocations;
  const ivs = made.pending ? "IVS has not confirmed it yet." : "IVS has ended the sessions.";
  return action === "kick"
    ? `${name} was kicked, and may come back in a few seconds. ${ivs}`
    : `${name} is banned until ${time(made.banned_until)}. ${ivs}`;
}

const time = (text) => new Date(text).toLocaleTimeString();

function report(text) {
  $("moderation").textContent = text;
}
