// What the hub told this page's scripts: levels, states, presence, addresses.

export const facts = JSON.parse(document.getElementById("facts")?.textContent ?? "{}");
