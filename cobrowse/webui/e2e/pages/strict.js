// Notes what the policy of the page refused.
window.violations = [];
document.addEventListener('securitypolicyviolation', (event) => {
	window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`);
});
