// A page that could not be made: it comes as soon as the hub is ready.

const EVERY_MS = 3000;

async function look() {
  try {
    const answer = await fetch("/ready", {cache: "no-store"});
    if (answer.ok) return location.reload();
  } catch {
    // The hub itself is away; it is asked again.
  }
  setTimeout(look, EVERY_MS * (0.75 + Math.random() / 2));
}

setTimeout(look, EVERY_MS);
