//! How text becomes terms, the same when a journey is indexed and when it is searched.
//!
//! Full text is split at everything that is neither letter nor digit, `_` included: the journey
//! that says `card_declined` is found by `declined` and, as two neighboring terms, by
//! `card_declined`. A whole value is one term. Both are lower-cased and cut.

use tantivy::tokenizer::{
    LowerCaser, RawTokenizer, SimpleTokenizer, TextAnalyzer, Token, TokenFilter, TokenStream,
    Tokenizer, TokenizerManager,
};

/// Name of the analyzer of whole values.
pub(super) const KEYWORD: &str = "hopline_keyword";
/// Name of the analyzer of full text.
pub(super) const TEXT: &str = "hopline_text";
/// How long a whole value may be; what is beyond is neither indexed nor compared.
pub(super) const VALUE_BYTES_MAX: usize = 512;

const WORD_BYTES_MAX: usize = 64;

/// Both analyzers by their names, beside those that tantivy wants for its other fields.
pub(super) fn tokenizers() -> TokenizerManager {
    let manager = TokenizerManager::default();
    let keyword = TextAnalyzer::builder(RawTokenizer::default())
        .filter(LowerCaser)
        .filter(Cut { bytes_max: VALUE_BYTES_MAX });
    let text = TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(LowerCaser)
        .filter(Cut { bytes_max: WORD_BYTES_MAX });
    manager.register(KEYWORD, keyword.build());
    manager.register(TEXT, text.build());
    manager
}

/// The terms of a text, in order.
pub(super) fn terms(tokenizers: &TokenizerManager, name: &str, text: &str) -> Vec<String> {
    let mut terms = Vec::new();
    if let Some(mut analyzer) = tokenizers.get(name) {
        analyzer.token_stream(text).process(&mut |token| terms.push(token.text.clone()));
    }
    terms
}

/// The text up to `bytes_max`, without half a character.
pub(super) fn head(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or(text)
}

/// Cuts long terms: tantivy's own filter drops them, and then their beginning is not found.
#[derive(Clone)]
struct Cut {
    bytes_max: usize,
}

#[derive(Clone)]
struct CutTokenizer<T> {
    bytes_max: usize,
    inner: T,
}

struct CutStream<T> {
    bytes_max: usize,
    inner: T,
}

impl TokenFilter for Cut {
    type Tokenizer<T: Tokenizer> = CutTokenizer<T>;

    fn transform<T: Tokenizer>(self, tokenizer: T) -> CutTokenizer<T> {
        CutTokenizer { bytes_max: self.bytes_max, inner: tokenizer }
    }
}

impl<T: Tokenizer> Tokenizer for CutTokenizer<T> {
    type TokenStream<'a> = CutStream<T::TokenStream<'a>>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Self::TokenStream<'a> {
        CutStream { bytes_max: self.bytes_max, inner: self.inner.token_stream(text) }
    }
}

impl<T: TokenStream> TokenStream for CutStream<T> {
    fn advance(&mut self) -> bool {
        let found = self.inner.advance();
        let text = &mut self.inner.token_mut().text;
        text.truncate(head(text, self.bytes_max).len());
        found
    }

    fn token(&self) -> &Token {
        self.inner.token()
    }

    fn token_mut(&mut self) -> &mut Token {
        self.inner.token_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_text_is_split_at_underscores_and_lower_cased() {
        let terms = terms(&tokenizers(), TEXT, "Card_Declined: ÄRGER 3DS");
        assert_eq!(terms, ["card", "declined", "ärger", "3ds"]);
    }

    #[test]
    fn a_whole_value_is_one_term() {
        assert_eq!(terms(&tokenizers(), KEYWORD, "GET /Cart/{id}"), ["get /cart/{id}"]);
    }

    #[test]
    fn a_long_word_keeps_its_beginning_without_half_a_character() {
        let word = "é".repeat(100);
        assert_eq!(terms(&tokenizers(), TEXT, &word), ["é".repeat(32)]);
    }
}
