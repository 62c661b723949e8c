"""The few words of other languages by which a reply says which option it takes: `la respuesta es B`, `答案是 B`."""

from __future__ import annotations

import re

_LATIN = "antwort|lösung|respuesta|solución|réponse|risposta|soluzione|resposta|solução|antwoord|oplossing|odpowied[źz]"
_LATIN += "|odpověď|svar(?:et)?|vastaus|cevap|jawaban(?:nya)?|đáp án|răspunsul"
_OTHER_SCRIPTS = "答案|答え|正解|解答|정답은?|답은?|ответ|відповідь|απάντηση|الإجابة|الجواب|उत्तर|תשובה"

ANSWER = rf"(?:\b(?:answers?|solution|{_LATIN})(?:'s)?\b|{_OTHER_SCRIPTS})"
"""The word for an answer."""
_LATIN_BE = "is|are|be|remains?|ist|sind|est|es|son|è|é|sono|são|jest|to|je|är|er|on|adalah|là|este"
BE = rf"(?:\b(?:{_LATIN_BE}|είναι|это)\b|:|是|为|為|は|هي|هو)"
"""That it is one."""
AND = r"\s?(?:,\s(?:and|or)\b|,|/|&|\b(?:and|or|nor|und|oder|et|ou|y|o|e|en|of|i|og|och)\b|和|或)\s?"
"""Between options that are named together."""
RIGHT = (
    "richtige?|correcta?|correcto|correcte?|bonne|corretta|corretto|correta|correto|juiste|poprawna|rätt|riktig|rigtige"
)
"""That it is right."""
NOT = r"nicht|kein|pas|no es|non è|non|não|niet|nie|не|inte|ikke|değil|không|bukan"
"""That it is not."""
EITHER = re.compile(r"\b(?:or|oder|ou|o|of)\b|/|或", re.IGNORECASE)
"""Between options of which it is left open which."""
