/**
 * A message as it is read: a section is a record, a list an array, a value a string. Decoded records have no prototype,
 * so a key such as `__proto__` is a key like any other. Insertion order is the order on the wire, except that JavaScript
 * puts keys that look like array indexes first.
 */
export type Message = { readonly [name: string]: MessageElement };

export type MessageElement = string | readonly string[] | Message;

/** A message as it is written: what can be read, and raw bytes where a value is no text (the data of `load-shared`). */
export type RequestMessage = { readonly [name: string]: RequestElement };

export type RequestElement = RequestValue | readonly RequestValue[] | RequestMessage;

export type RequestValue = string | Uint8Array;

/** The value of that name; undefined when it is absent (vici leaves out what is unset), a list or a section. */
export const textOf = (message: Message, name: string): string | undefined => {
  const element = message[name];
  return typeof element === "string" ? element : undefined;
};

/** The items of the list of that name; none when it is absent, a value or a section. */
export const listOf = (message: Message, name: string): readonly string[] => {
  const element = message[name];
  return isList(element) ? element : [];
};

/** The section of that name; undefined when it is absent, a value or a list. */
export const sectionOf = (message: Message, name: string): Message | undefined => {
  const element = message[name];
  return element === undefined || typeof element === "string" || isList(element) ? undefined : element;
};

/** The sections in a message or section with their names, such as the connections of `list-conn`; none when absent. */
export const sectionsOf = (
  message: Message | undefined,
): readonly (readonly [name: string, section: Message])[] =>
  Object.entries(message ?? {}).flatMap(([name, element]) =>
    typeof element === "string" || isList(element) ? [] : [[name, element] as const],
  );

// Array.isArray does not narrow a readonly array out of a union.
const isList = (element: MessageElement | undefined): element is readonly string[] => Array.isArray(element);
