// The gallery of a server: htmx asks and scrolls; here, the address stays short and form and address stay in step.

document.addEventListener('htmx:configRequest', (event) => {
  const parameters = event.detail.parameters;
  for (const name of Object.keys(parameters)) if (parameters[name] === '') delete parameters[name];
});
