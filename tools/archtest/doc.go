// Package archtest states the project's structure as tests: who may import
// whom, which package alone holds which power, and what each program links.
// It holds no product code and nothing imports it.
package archtest
