import { request } from "node:http";
import { exitCodes, Failure } from "../failure.ts";

/** Where a running gateway answers whoever is on its host, or in its container, and may read root's files. */
export const gatewaySocket = "/run/vnf-ipsec/gateway.socket";

export type Answer = { readonly status: number; readonly body: string };

/** Asks the gateway that runs here; throws a Failure when none does, or when it does not answer within 5 s. */
export const askGateway = (path: string): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const asked = request({ socketPath: gatewaySocket, path, timeout: 5_000 }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => {
        body += piece;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
      response.on("error", (error) => reject(unanswered(error)));
    });
    asked.on("timeout", () => asked.destroy(new Error("no answer within 5 s")));
    asked.on("error", (error) => reject(unanswered(error)));
    asked.end();
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
