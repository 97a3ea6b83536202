$("blind").hidden = !recordings.some((one) => one.slots.some((slot) => slot > 0));
if (now.at >= 0) {
  now.choice = choices()[0][0];
  $("player").hidden = false;
  list();
  show();
  const test = kept();
  if (test?.done) {
    finished = test;
    showAnswers();
  } else if (test) {
    resume(test);
  }
}
