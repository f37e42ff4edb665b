// What is left of a cold start when the function does nothing: Node itself.
export const handler = async () => ({});
