// Package dist tries the packages that `make dist` has made: what is in them, that
// the same commit gives the same bytes in another folder, that they can be signed,
// and that they install, run, upgrade and go, the Windows ones under Wine. Its
// tests have the build tag dist: `make test-dist` makes the packages, installs
// what the tests need and runs them. What passes under Wine passes there; what
// Wine cannot show is in docs/windows-checklist.md.
package dist
