import { type Message, textOf } from "./message.ts";

/**
 * Why a vici call did not give what was asked for.
 *
 * - `unreachable`: nobody accepts connections at the path; `cause` has the errno (ENOENT, ECONNREFUSED, EACCES, EAGAIN)
 * - `closed`: the connection ended before an answer came
 * - `timeout`: charon did not answer in time; the connection is closed
 * - `protocol`: what came over the socket is not vici; the connection is closed
 * - `unencodable`: the request has no encoding (a name, value or message too long); nothing was sent
 * - `unknown-command`, `unknown-event`: charon has none of that name (its plugin may not be loaded)
 * - `refused`: charon answered `success = no`
 */
export type ViciErrorKind =
  | "unreachable"
  | "closed"
  | "timeout"
  | "protocol"
  | "unencodable"
  | "unknown-command"
  | "unknown-event"
  | "refused";

/** A fault of a vici call. Its message never holds a value of a request, so no secret. */
export class ViciError extends Error {
  override readonly name = "ViciError";
  readonly kind: ViciErrorKind;

  constructor(kind: ViciErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/**
 * The response itself, or a thrown `refused` with charon's `errmsg`. Responses without a `success` key (`version`,
 * `stats`, `list-*`) pass: most commands that only read have none.
 */
export const requireSuccess = (command: string, response: Message): Message => {
  const success = textOf(response, "success");
  if (success === undefined || success === "yes") {
    return response;
  }
  throw new ViciError(
    "refused",
    `charon refused ${command}: ${textOf(response, "errmsg") ?? "no reason given"}`,
  );
};
