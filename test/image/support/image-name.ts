/** As podman knows the image in the guest. */
export const imageName = "localhost/vnf-ipsec:test";
