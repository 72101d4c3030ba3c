import { connect } from "node:net";
import { exitCodes, Failure } from "../failure.ts";

/** Where a running gateway answers whoever is on its host, or in its container, and may read root's files. */
export const gatewaySocket = "/run/vnf-ipsec/gateway.socket";

export type Answer = { readonly status: number; readonly body: string };

export type AskOptions = { readonly method?: "GET" | "POST"; readonly limitMilliseconds?: number };

/**
 * Asks the gateway that runs here; throws a Failure when none does, or when it does not answer in time: 5 s unless told.
 * In HTTP/1.0 an answer ends with its connection (RFC 1945 §7.2.2), so this needs no more than `node:net`; to load
 * `node:http` would take longer than the rest of a health check.
 */
export const askGateway = (
  path: string,
  { method = "GET", limitMilliseconds = 5_000 }: AskOptions = {},
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    let text = "";
    const head = method === "POST" ? "content-length: 0\r\n" : "";
    const socket = connect(gatewaySocket, () => socket.write(`${method} ${path} HTTP/1.0\r\n${head}\r\n`));
    socket.setEncoding("utf8");
    const seconds = limitMilliseconds / 1_000;
    socket.setTimeout(limitMilliseconds, () => socket.destroy(new Error(`no answer within ${seconds} s`)));
    socket.on("data", (piece: string) => {
      text += piece;
    });
    socket.on("end", () => {
      const [, status, length, body = ""] =
        /^HTTP\/1\.[01] (\d{3}) .*?^content-length: (\d+)\r\n.*?\r\n\r\n(.*)$/ims.exec(text) ?? [];
      if (Buffer.byteLength(body) === Number(length)) resolve({ status: Number(status), body });
      else reject(unanswered(new Error("its answer is cut off")));
    });
    socket.on("error", (error) => reject(unanswered(error)));
  });

const unanswered = (error: NodeJS.ErrnoException): Failure => {
  switch (error.code) {
    case "ENOENT":
    case "ECONNREFUSED":
      return new Failure(
        [
          {
            message: "no gateway runs here",
            hint: "start it with vnf-ipsec run; in a container, ask inside it: docker exec NAME vnf-ipsec status",
          },
        ],
        exitCodes.unavailable,
        { cause: error },
      );
    case "EACCES":
    case "EPERM":
      return new Failure(
        [
          {
            message: `${gatewaySocket} may not be used: ${error.code}`,
            hint: "run as the user that runs the gateway, usually root",
          },
        ],
        exitCodes.permission,
        { cause: error },
      );
    default:
      return new Failure(
        [{ message: `the gateway does not answer: ${error.message}`, hint: "its log tells what it does" }],
        exitCodes.unavailable,
        { cause: error },
      );
  }
};
