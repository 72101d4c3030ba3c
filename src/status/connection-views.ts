import type { Connection, Gateway } from "../gateway/gateway.ts";
import type { IkeSaReading, LoadedConnection } from "../vici/readings.ts";

/** A connection as configured and as charon knows it. */
export type ConnectionView = {
  readonly name: string;
  readonly loaded: LoadedConnection | undefined;
  /** Those that charon has for it. */
  readonly names: ReadonlySet<string>;
  readonly configured: Connection | undefined;
  readonly children: readonly LoadedConnection["children"][number][];
  readonly sas: readonly IkeSaReading[];
};

export type Listed = {
  readonly gateway: Pick<Gateway, "connections">;
  readonly loaded: readonly LoadedConnection[];
  readonly sas: readonly IkeSaReading[];
};

/** First those of the variables, then what else charon has loaded; IKEv1 has one of ours under several names. */
export const viewConnections = ({ gateway, loaded, sas }: Listed): readonly ConnectionView[] => {
  const loadedAs = new Map([
    ...loaded.flatMap((one) => childNames(one).map((name) => [name, one] as const)),
    ...loaded.map(named),
  ]);
  const sasOf = Map.groupBy(sas, ({ connection }) => connection);
  const view = (
    one: Pick<ConnectionView, "name" | "configured" | "children">,
    parts: readonly LoadedConnection[],
  ): ConnectionView => {
    const names = new Set([one.name, ...childNames(one), ...parts.map(({ name }) => name)]);
    return { ...one, loaded: parts[0], names, sas: [...names].flatMap((name) => sasOf.get(name) ?? []) };
  };
  const ours = gateway.connections.map((configured) => {
    const { name, children } = configured;
    const parts = [name, ...childNames(configured)].flatMap((own) => loadedAs.get(own) ?? []);
    const texts = children.map((child) => ({
      name: child.name,
      localNetworks: child.localNetworks.map(({ text }) => text),
      remoteNetworks: child.remoteNetworks.map(({ text }) => text),
    }));
    return view({ name, configured, children: texts }, parts);
  });
  const known = new Set(ours.flatMap(({ names }) => [...names]));
  const others = loaded.filter(({ name }) => !known.has(name));
  return [
    ...ours,
    ...others.map((one) => view({ name: one.name, configured: undefined, children: one.children }, [one])),
  ];
};

const named = (one: LoadedConnection) => [one.name, one] as const;

const childNames = ({
  children,
}: {
  readonly children: readonly { readonly name: string }[];
}): readonly string[] => children.map(({ name }) => name);
