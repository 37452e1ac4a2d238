import java.util.Locale;
import java.util.Map;

import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.core.KeywordTokenizer;
import org.apache.lucene.analysis.en.EnglishMinimalStemFilter;
import org.apache.lucene.analysis.en.EnglishPossessiveFilter;
import org.apache.lucene.analysis.en.KStemFilter;
import org.apache.lucene.analysis.en.PorterStemFilter;
import org.apache.lucene.analysis.ru.RussianLightStemFilter;
import org.apache.lucene.analysis.snowball.SnowballFilter;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.index.IndexSettings;
import org.elasticsearch.index.analysis.AbstractTokenFilterFactory;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.plugins.AnalysisPlugin;
import org.elasticsearch.plugins.Plugin;

/**
 * The {@code stemmer} token filter, with the same stemmers behind the same names as Elasticsearch's own module, which no
 * package registry holds.
 */
public final class StemmerPlugin extends Plugin implements AnalysisPlugin {
    @Override
    public Map<String, AnalysisProvider<TokenFilterFactory>> getTokenFilters() {
        return Map.of("stemmer", StemmerFactory::new);
    }

    private static final class StemmerFactory extends AbstractTokenFilterFactory {
        private final String language;

        private StemmerFactory(IndexSettings index, Environment environment, String name, Settings settings) {
            super(name);
            language = settings.get("language", settings.get("name", "porter")).toLowerCase(Locale.ROOT);
            try {
                create(new KeywordTokenizer());
            } catch (RuntimeException e) {
                throw new IllegalArgumentException("Unknown stemmer language [" + language + "] of filter [" + name + "]", e);
            }
        }

        @Override
        public TokenStream create(TokenStream tokens) {
            return switch (language) {
                case "english", "porter" -> new PorterStemFilter(tokens);
                case "possessive_english" -> new EnglishPossessiveFilter(tokens);
                case "minimal_english" -> new EnglishMinimalStemFilter(tokens);
                case "light_english", "kstem" -> new KStemFilter(tokens);
                case "porter2" -> new SnowballFilter(tokens, "English");
                case "light_russian" -> new RussianLightStemFilter(tokens);
                // Russian, German and so on: Lucene's Snowball stemmers carry the language's name.
                default -> new SnowballFilter(tokens, Character.toUpperCase(language.charAt(0)) + language.substring(1));
            };
        }
    }
}
