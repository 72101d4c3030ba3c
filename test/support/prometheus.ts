import { execFile } from "node:child_process";
import { promisify } from "node:util";

export type MetricFamily = {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
  }[];
};

/** Each text as Prometheus's client library for Python reads it; fails where it refuses one. */
export const parseMetrics = async (
  texts: readonly string[],
): Promise<readonly (readonly MetricFamily[])[]> => {
  const running = promisify(execFile)("/usr/bin/python3", ["-c", reader], { maxBuffer: 1 << 28 });
  running.child.stdin?.end(JSON.stringify(texts));
  return JSON.parse((await running).stdout);
};

const reader = `
import json, sys
from prometheus_client.parser import text_string_to_metric_families

def family(read):
    samples = [{"name": one.name, "labels": one.labels, "value": one.value} for one in read.samples]
    return {"name": read.name, "type": read.type, "help": read.documentation, "samples": samples}

texts = json.load(sys.stdin)
json.dump([[family(read) for read in text_string_to_metric_families(text)] for text in texts], sys.stdout)
`;
