/** Name of the virtio-serial port between the two sides; the guest finds it under `/sys/class/virtio-ports`. */
export const portName = "vnf-ipsec.scenarios";

/** What the host asks of the guest, one JSON object a line. The end of the stream asks it to power off. */
export type Request = {
  readonly scenario: string;
  readonly limitSeconds: number;
  /** What the scenario has in its environment: what the host has of `passedOn`. */
  readonly environment: Readonly<Record<string, string>>;
};

/** How often promises are tried, and which backend is. */
export const passedOn = ["VNF_IPSEC_TEST_FULL", "VNF_IPSEC_TEST_BACKEND"] as const;

/** How one test ended, in the guest's own words. */
export type Outcome =
  | { readonly kind: "passed" }
  | { readonly kind: "skipped"; readonly reason: string }
  | { readonly kind: "failed"; readonly report: string };

/** What the guest tells as it happens, one JSON object a line, so that a hang still shows what ran. */
export type GuestEvent =
  /** The guest takes requests. Uptimes are seconds since the kernel started. */
  | {
      readonly kind: "ready";
      readonly kernel: string;
      readonly bootSeconds: number;
      readonly readySeconds: number;
    }
  /** `parent` is 0 for a test at the top of its file. */
  | { readonly kind: "test began"; readonly id: number; readonly parent: number; readonly title: string }
  | { readonly kind: "test ended"; readonly id: number; readonly outcome: Outcome }
  /** Standard output and error of the scenario. */
  | { readonly kind: "output"; readonly text: string }
  /** The file is done. `problems` belong to no test: a limit in time, a crash, something left behind. */
  | { readonly kind: "scenario ended"; readonly problems: readonly string[] };
