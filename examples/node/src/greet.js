export const greet = (name) => `Hello, ${name || "world"}`;
