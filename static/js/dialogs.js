// Dialogs, the user's menu, and buttons that copy the command beside them.

const COPIED_MS = 1600;

export function openDialog(id) {
  const dialog = document.getElementById(id);
  if (dialog && !dialog.open) dialog.showModal();
}

document.addEventListener("click", (event) => {
  const target = event.target;
  const opener = target.closest?.("[data-open]");
  if (opener) openDialog(opener.dataset.open);
  if (target.closest?.("[data-close]")) target.closest("dialog").close();
  // A click on the backdrop reaches the dialog itself.
  if (target instanceof HTMLDialogElement) target.close();
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(target)) menu.open = false;
  }
  const copier = target.closest?.("[data-copy]");
  if (copier) copy(copier);
});

async function copy(button) {
  const command = button.parentElement.querySelector("pre");
  try {
    await navigator.clipboard.writeText(command.textContent);
    button.textContent = "Copied";
  } catch {
    // Without TLS a browser keeps the clipboard to itself: leave it selected.
    getSelection().selectAllChildren(command);
    button.textContent = "Selected";
  }
  setTimeout(() => {
    button.textContent = "Copy";
  }, COPIED_MS);
}
