import type { Values } from "./settings.ts";

/** The variable that asks for a virtual interface, and so for ESP in the kernel; undefined where none does. */
export const virtualInterfaceVariable = (
  values: Partial<Values> | undefined,
): "IPSEC_VTI_KEY" | "IPSEC_XFRM_IF_ID" | undefined => {
  if (values?.IPSEC_VTI_KEY !== undefined) return "IPSEC_VTI_KEY";
  return values?.IPSEC_XFRM_IF_ID === undefined ? undefined : "IPSEC_XFRM_IF_ID";
};
