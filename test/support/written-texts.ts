import { marker } from "../../src/backend/config-file.ts";

/** Two files of different lengths, both large enough to be written in more than one piece of the disk. */
export const writtenTexts = ["old ".repeat(20_000), "new ".repeat(35_000)].map(
  (text) => `${marker}\n${text}`,
);
