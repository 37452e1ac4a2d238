// Light or dark: as Airflow around this page, as Airflow was told last, or as the system likes it.

const system = window.matchMedia("(prefers-color-scheme: dark)");

function hostRoot() {
  try {
    return window.parent === window ? null : window.parent.document.documentElement;
  } catch {
    return null; // framed by somebody else
  }
}

function wanted() {
  const root = hostRoot();
  if (root?.classList.contains("dark")) return "dark";
  if (root?.classList.contains("light")) return "light";
  const chosen = localStorage.getItem("theme");
  if (chosen === "dark" || chosen === "light") return chosen;
  return system.matches ? "dark" : "light";
}

export function followTheme() {
  const apply = () => {
    document.documentElement.dataset.theme = wanted();
  };
  const root = hostRoot();
  if (root) new MutationObserver(apply).observe(root, { attributes: true, attributeFilter: ["class", "style", "data-theme"] });
  window.addEventListener("storage", apply);
  system.addEventListener("change", apply);
  apply();
}
