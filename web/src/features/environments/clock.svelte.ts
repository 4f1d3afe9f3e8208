// The time for as long as a component is on screen, to the second.
export function useClock(): { readonly now: number } {
  let now = $state(Date.now());
  $effect(() => {
    const t = setInterval(() => (now = Date.now()), 1000);
    return () => clearInterval(t);
  });
  return {
    get now() {
      return now;
    },
  };
}
