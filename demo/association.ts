import { connectVici } from "../src/vici/client.ts";
import { listOf, type Message, sectionOf, sectionsOf, textOf } from "../src/vici/message.ts";

/** One side's view of an IKE SA and its CHILD SA; fields are empty where charon leaves them out. */
export type Association = {
  readonly identity: string;
  readonly endpoint: string;
  readonly networks: string;
  readonly ike: string;
  readonly ikeCipher: string;
  readonly child: string;
  readonly espCipher: string;
  readonly spiIn: string;
  readonly spiOut: string;
  readonly packetsIn: number;
  readonly packetsOut: number;
};

/** Asks the charon behind this socket. Field names are those of `list-sa` in strongSwan's vici README. */
export const readAssociations = async (socket: string): Promise<readonly Association[]> => {
  const vici = await connectVici(socket);
  try {
    const associations: Association[] = [];
    for await (const message of vici.stream("list-sas", "list-sa")) {
      for (const [, sa] of sectionsOf(message)) {
        for (const [, child] of sectionsOf(sectionOf(sa, "child-sas"))) {
          associations.push(associationOf(sa, child));
        }
      }
    }
    return associations;
  } finally {
    vici.close();
  }
};

const associationOf = (sa: Message, child: Message): Association => {
  const ike = (name: string) => textOf(sa, name) ?? "";
  const esp = (name: string) => textOf(child, name) ?? "";
  return {
    identity: ike("local-id"),
    endpoint: `${ike("local-host")}:${ike("local-port")}`,
    networks: listOf(child, "local-ts").join(", "),
    ike: `IKEv${ike("version")}, ${ike("state")}`,
    ikeCipher: `${ike("encr-alg")}_${ike("encr-keysize")}, ${ike("dh-group")}`,
    child: `${esp("protocol")} ${esp("mode").toLowerCase()}, ${esp("state")}`,
    espCipher: `${esp("encr-alg")}_${esp("encr-keysize")}`,
    spiIn: esp("spi-in"),
    spiOut: esp("spi-out"),
    packetsIn: Number(esp("packets-in")),
    packetsOut: Number(esp("packets-out")),
  };
};
