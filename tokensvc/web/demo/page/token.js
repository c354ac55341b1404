// A playback token, read in the browser: it is signed, not encrypted, so anyone who holds it can.

/** Header and payload of a compact JWS (RFC 7515 §7.1), and its three segments as they stand. */
export function decode(token) {
  const segments = token.split(".");
  const [header, payload] = segments.map(fromBase64url);
  return { header: JSON.parse(header), payload: JSON.parse(payload), segments };
}

/** The playback URL without its token. */
export function withoutToken(playbackUrl) {
  const url = new URL(playbackUrl);
  url.searchParams.delete("token");
  return url.href;
}

/** The playback URL with another `exp` under the signature that was made for the first. */
export function withExpiryMoved(playbackUrl, seconds) {
  const url = new URL(playbackUrl);
  const { payload, segments } = decode(url.searchParams.get("token"));
  const altered = JSON.stringify({ ...payload, exp: payload.exp + seconds });
  url.searchParams.set("token", [segments[0], toBase64url(altered), segments[2]].join("."));
  return url.href;
}

function fromBase64url(segment) {
  const binary = atob(segment.replaceAll("-", "+").replaceAll("_", "/"));
  return new TextDecoder().decode(Uint8Array.from(binary, (letter) => letter.charCodeAt(0)));
}

function toBase64url(text) {
  const binary = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

const clockTime = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const at = (unixSeconds) => clockTime.format(new Date(unixSeconds * 1000));

const SENTENCES = {
  alg: () => "ECDSA on P-384 with SHA-384, the one algorithm that IVS takes.",
  typ: () => "A JSON Web Token.",
  "aws:channel-arn": () => "Opens this channel and no other.",
  exp: (value) => `Playback can start until ${at(value)}. Unix seconds.`,
  "aws:viewer-id": () =>
    "Who watches, so that this viewer can be stopped. No token with it may live longer than ten minutes.",
  "aws:viewer-session-version": (value) =>
    `Issued at ${at(value)}. A revocation names a version and ends the viewer's sessions up to it.`,
  "aws:access-control-allow-origin": () => "In a browser, only pages from here get the playlist.",
  "aws:strict-origin-enforcement": (value) =>
    value
      ? "Every request must come from such a page, video segments included."
      : "Only the first playlist asks where the page is from.",
  "aws:single-use-uuid": () => "Starts playback once, and never again.",
  "aws:maximum-resolution": () => "The playlist leaves out every rendition above this.",
};

/** One sentence for a person on what a header member or a claim does. */
export function sentenceOn(name, value) {
  return SENTENCES[name]?.(value) ?? "Not a claim that IVS documents; it ignores it.";
}
