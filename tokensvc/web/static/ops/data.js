// Gets what the page shows: `GET /v1/ops`, with an API key that has the scope `operate`.

/**
 * @typedef {object} KeyPair
 * @property {string} key_id
 * @property {"pending" | "published" | "active" | "retiring" | "retired"} state
 * @property {boolean} compromised
 * @property {string | null} fingerprint
 * @property {string} created_at
 * @property {string | null} published_at
 * @property {string | null} activated_at
 * @property {string | null} signing_ended_at
 * @property {string | null} drained_at
 * @property {string | null} deleted_at
 * @property {string | null} destroyed_on
 */
/**
 * @typedef {{ sentence: string, at: string | null, why: string }} Step
 * @typedef {{ attempted_at: string, by: string, code: string, succeeded_at: string | null,
 *   is_overdue: boolean }} Reconcile
 * @typedef {{ region: string, key_pairs: KeyPair[], next_step: Step | null,
 *   rotation_request: string, rotation_pause: string, reconcile: Reconcile | null }} Region
 * @typedef {{ name: string, ready: boolean, code: string, notes: string[] }} Check
 * @typedef {{ name: string, age_seconds: number | null, max_age_seconds: number | null,
 *   code: string }} View
 * @typedef {{ at: string, decision: string, code: string, rule: string | null,
 *   channel: string | null, caller_id: string | null, grant: string | null,
 *   request_id: string | null }} Decision
 * @typedef {{ since: string, granted: number, refused: { code: string, count: number }[],
 *   latest: Decision[] }} Decisions
 * @typedef {{ channel_arn: string, names: string[], answer: string, age_seconds: number | null,
 *   refresh_in_seconds: number }} Channel
 * @typedef {{ ban_id: string, kind: string, state: string, channel_arn: string | null,
 *   banned_until: string | null, is_pending_at_ivs: boolean, made_at: string,
 *   made_by: string }} Ban
 * @typedef {{ kept: number, active: number, pending: number, latest: Ban[] }} Bans
 */
/**
 * @typedef {object} Answer
 * @property {string} at
 * @property {number} process_id
 * @property {number} processes
 * @property {string} version
 * @property {Check[]} checks
 * @property {Region[]} regions
 * @property {View[]} views
 * @property {Decisions} decisions
 * @property {{ cached: number, listed: Channel[] }} channels
 * @property {Bans} bans
 */

const ADDRESS = new URL("../v1/ops", import.meta.url);
const LONGEST_REQUEST_SECONDS = 20;

/** Why there are no data: `code` of the problem document, or "" if there was no answer. */
export class Refused extends Error {
  /** @param {Record<string, any>} [problem] */
  constructor(problem = {}) {
    super(String(problem.detail ?? "The service does not answer."));
    this.code = String(problem.code ?? "");
    this.hint = String(problem.hint ?? "");
    this.retryAfterSeconds = Number(problem.retry_after_seconds ?? 0);
    /** Whether the key must be another one. */
    this.isOfKey = ["unauthenticated", "not_permitted", "not_found"].includes(this.code);
  }
}

/**
 * The data of the page.
 * @param {string} key
 * @returns {Promise<Answer>}
 * @throws {Refused}
 */
export async function dataOf(key) {
  let response;
  try {
    response = await fetch(ADDRESS, {
      headers: { Authorization: `Bearer ${key}` },
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(LONGEST_REQUEST_SECONDS * 1_000),
    });
  } catch {
    throw new Refused();
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(body);
  return body;
}
